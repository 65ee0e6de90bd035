/*
 * pruning: `tradecloud-spool prune`, the removal of entries that are no longer needed.
 *
 * An entry in done/ is the memory by which late retries are recognised. Its age is therefore
 * counted from when it came there (the time of the inode's last change, which renaming sets), not
 * from when it arrived.
 */
#ifndef COMMON_PRUNING_H
#define COMMON_PRUNING_H

/* Run the command with its arguments, its name first. Returns the exit status. */
int pruning_command(int argc, char **argv);

#endif
