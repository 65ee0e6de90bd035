/*
 * process: the state every program starts in, whatever its parent left.
 */
#ifndef COMMON_PROCESS_H
#define COMMON_PROCESS_H

/*
 * To be called first. Opens /dev/null for standard descriptors that are closed, so that no file of
 * ours becomes one; sets the umask to 007 (files name their own modes, directories are the
 * group's); ignores SIGPIPE and SIGXFSZ, so that they become errors of write(); unblocks all
 * signals; sets an alarm after `seconds`, 0 for none. The fatal signals, SIGTERM, SIGXCPU and
 * the alarm answer 503 (response_emergency), log why, and end the process with status 1.
 */
void process_start(unsigned seconds);

enum { PROCESS_REMOVED_MAX = 2 };

/* Should one of these signals come from now on, remove the file `name` in `directory`, too. There
 * are PROCESS_REMOVED_MAX such files at most. The name is the caller's, and must stay where it is,
 * until process_keep is given the same pointer. */
void process_remove_at_end(int directory, const char *name);
void process_keep(const char *name);

#endif
