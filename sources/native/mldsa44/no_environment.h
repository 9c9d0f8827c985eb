/* Read before every C file. AWS-LC lets OPENSSL_ia32cap of the environment say what the processor can do: here the
 * processor alone does. */
#ifndef SOVEREIGN_NO_ENVIRONMENT_H
#define SOVEREIGN_NO_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#define getenv(name) ((char *)NULL)

#endif
