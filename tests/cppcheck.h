/*
 * For `make lint` alone, included before each file by cppcheck, which reads no system headers: the loops that are macros
 * there, in words that it understands.
 */
#define json_array_foreach(array, index, value)                                                    \
    for (index = 0; (value = json_array_get(array, index)) != NULL; index++)
#define json_object_foreach(object, key, value)                                                    \
    while ((key = next_key(object)) != NULL && (value = json_object_get(object, key)) != NULL)
#define TAILQ_FOREACH(item, head, field)                                                           \
    for (item = first_of(head); item != NULL; item = next_of(item))
#define TAILQ_FIRST(head)       first_of(head)
#define TAILQ_NEXT(item, field) next_of(item)
#define LIST_FOREACH(item, head, field)                                                            \
    for (item = first_of(head); item != NULL; item = next_of(item))
#define HASH_ITER(handle, head, item, next)                                                        \
    for (item = (head), next = next_of(item); item != NULL; item = next, next = next_of(item))
