/*
 * display: `tradecloud-spool show`, an entry for people to read, or its data for programs.
 */
#ifndef COMMON_DISPLAY_H
#define COMMON_DISPLAY_H

/* Run the command with its arguments, its name first. Returns the exit status. */
int display_command(int argc, char **argv);

#endif
