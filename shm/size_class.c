/* The tables of size_class.h, once for the whole of a library or program. */
#define GA_SIZE_CLASS_DEFINE
#include "shm/size_class.h"
