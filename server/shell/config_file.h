/* A file of options: lines `key = value`. Blank lines, and lines that begin with '#', say nothing.
 */
#ifndef GA_SERVER_SHELL_CONFIG_FILE_H
#define GA_SERVER_SHELL_CONFIG_FILE_H

/* One line of it. where: "FILE:LINE: ", for messages. key and value are without the blanks around
 * them and valid during the call. Returns 0 or a negative errno, having logged what is wrong. */
typedef int ga_config_line_fn(const char *where, const char *key, const char *value, void *data);

/* Call each for the lines of the file in their order, until one fails. Returns 0 or a negative
 * errno, which has been logged. */
int ga_config_file_read(const char *path, ga_config_line_fn *each, void *data);

#endif
