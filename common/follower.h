/*
 * follower: `tradecloud-spool follow`, a line for each entry as it arrives.
 *
 * New files in new/ and rejected/ are told by the kernel (inotify), which does not see what other
 * hosts do on a shared file system, and may lose some when too many come at once. So the
 * directories are also scanned from time to time, and what was not there before is told then. An
 * entry that is moved back to new/ is no arrival, unless it is found by such a scan.
 *
 * The names that are there are remembered: some 150 MB for a million of them.
 */
#ifndef COMMON_FOLLOWER_H
#define COMMON_FOLLOWER_H

/* Run the command with its arguments, its name first. Returns the exit status. */
int follower_command(int argc, char **argv);

#endif
