# Makes the units that name installed files, in ${made}: from source, bindir, docdir and sysconfdir.
# Sets confdir, where the file of options is.
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(sysconfdir /etc)
endif()
set(confdir ${sysconfdir}/goalloc)
# What both services have in common.
file(READ ${source}/common.conf common)
string(STRIP "${common}" common)
foreach(unit goallocd.service goallocd@.service goallocd@.socket)
  configure_file(${source}/${unit}.in ${made}/${unit} @ONLY)
endforeach()
