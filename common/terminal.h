/*
 * terminal: whether a person looks at an output, and what may be shown to them.
 */
#ifndef COMMON_TERMINAL_H
#define COMMON_TERMINAL_H

#include <stdbool.h>

struct terminal {
    bool present; /* the descriptor is a terminal */
    bool colour;  /* it takes colours: TERM is neither unset nor "dumb", NO_COLOR not set */
    bool ascii;   /* it shows nothing but ASCII, as the locale's character set is not UTF-8 */
};

/* Look at a descriptor and the environment. Gets legible.h ready, too. */
struct terminal terminal_of(int fd);

#endif
