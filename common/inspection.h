/*
 * inspection: `tradecloud-spool check`, whether a spool is as it should be.
 */
#ifndef COMMON_INSPECTION_H
#define COMMON_INSPECTION_H

/* Run the command with its arguments, its name first. Returns the exit status. */
int inspection_command(int argc, char **argv);

#endif
