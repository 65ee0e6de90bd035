/*
 * consume: the subcommand `run` of tradecloud-spool: its options.
 */
#ifndef COMMON_CONSUME_H
#define COMMON_CONSUME_H

/* `argv` begins with "run". Returns the exit status (sysexits(3)). */
int consume_run(int argc, char **argv);

#endif
