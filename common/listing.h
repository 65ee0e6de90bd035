/*
 * listing: `tradecloud-spool list`, the entries of one state.
 */
#ifndef COMMON_LISTING_H
#define COMMON_LISTING_H

/* Run the command with its arguments, its name first. Returns the exit status. */
int listing_command(int argc, char **argv);

#endif
