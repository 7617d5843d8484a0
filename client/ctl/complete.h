/* What a shell may offer for the word that is being typed: for its completion, which calls
 * goallocctl for it. Not for people, so it is in no table. */
#ifndef GA_CTL_COMPLETE_H
#define GA_CTL_COMPLETE_H

#define GA_COMPLETE_COMMAND "__complete"

/* words: those behind "goallocctl", the last of which, empty or not, is being typed. Print a line
 * for each that it may become, with a tab and what it means behind it; or one line, ":file" or
 * ":program", where it is a file, or a program with its arguments. What cannot be found out is left
 * out, without a message. Returns 0. */
int ga_complete(int nwords, char **words);

#endif
