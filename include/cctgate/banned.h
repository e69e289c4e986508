/*
 * Functions that make a bound somebody else's problem. The Makefile includes this file before the first line of each of our
 * C files, so that using one of them does not compile. What to use instead: snprintf, memcpy with a checked length,
 * strtok_r on a bounded copy or a scanner of our own, strtol with its end pointer checked, malloc.
 *
 * The headers that declare them come first, because afterwards the names are gone.
 */
#ifndef CCTGATE_BANNED_H
#define CCTGATE_BANNED_H

#include <alloca.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BANNED(function) sorry_##function##_is_a_banned_function

#undef strcpy
#define strcpy(to, from) BANNED(strcpy)
#undef strcat
#define strcat(to, from) BANNED(strcat)
#undef sprintf
#define sprintf(...) BANNED(sprintf)
#undef vsprintf
#define vsprintf(to, format, arguments) BANNED(vsprintf)
#undef strtok
#define strtok(text, separators) BANNED(strtok)
#undef atoi
#define atoi(text) BANNED(atoi)
#undef atol
#define atol(text) BANNED(atol)
#undef atoll
#define atoll(text) BANNED(atoll)
#undef gets
#define gets(to) BANNED(gets)
#undef alloca
#define alloca(size) BANNED(alloca)

#endif
