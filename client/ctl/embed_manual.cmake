# Make a C source of the manual page: cmake -D OUT=FILE.c -D PAGE=goallocctl.1 -P embed_manual.cmake
file(READ ${PAGE} hex HEX)
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
file(WRITE ${OUT} "#include \"client/ctl/manual.h\"\n\nconst char ga_manual_page[] = {\n${hex}0};\n")
