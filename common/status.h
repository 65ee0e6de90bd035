/*
 * status: `tradecloud-spool status`, how the spool is.
 */
#ifndef COMMON_STATUS_H
#define COMMON_STATUS_H

/* Run the command with its arguments, its name first. Returns the exit status. */
int status_command(int argc, char **argv);

#endif
