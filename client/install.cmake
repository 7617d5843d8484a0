# What of this room is installed, and how other builds find it there: goalloc-client.pc for pkg-config,
# goalloc-config.cmake for find_package. Both look from where they lie, so that a prefix may be
# chosen at the installation, and the installed tree moved.
#
# What only a developer needs is of the component development, the shared library alone of library, all
# else of the one that the top level names: systemd/debian makes a package of each.
foreach(folder LIBDIR INCLUDEDIR)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${folder}}")
    message(FATAL_ERROR "CMAKE_INSTALL_${folder} must be relative to the prefix")
  endif()
endforeach()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/goalloc)
install(TARGETS goalloc_client goalloc_client_archive EXPORT goalloc
        LIBRARY COMPONENT library NAMELINK_COMPONENT development
        ARCHIVE COMPONENT development)
install(TARGETS goallocctl)
install(DIRECTORY include/goalloc DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development
        FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
# Of goallocctl run --preload, and for LD_PRELOAD: nothing links it, so it has no version.
if(TARGET goalloc_malloc)
  install(TARGETS goalloc_malloc)
endif()
# A page for each group of functions, named after the first; the others of its NAME section are links.
file(GLOB man_pages CONFIGURE_DEPENDS man/*.3)
install(FILES goalloc.3 ${man_pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man3 COMPONENT development)
foreach(page ${man_pages})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${page})
  get_filename_component(group ${page} NAME_WE)
  file(STRINGS ${page} functions REGEX "^\\.Nm goalloc_")
  foreach(function ${functions})
    string(REGEX MATCH "goalloc_[a-z_]+" function "${function}")
    if(NOT function STREQUAL group)
      set(link ${CMAKE_CURRENT_BINARY_DIR}/man/${function}.3)
      file(CONFIGURE OUTPUT ${link} CONTENT ".so man3/${group}.3\n")
      install(FILES ${link} DESTINATION ${CMAKE_INSTALL_MANDIR}/man3 COMPONENT development)
    endif()
  endforeach()
endforeach()
file(GLOB guides CONFIGURE_DEPENDS man/*.7)
install(FILES ${guides} DESTINATION ${CMAKE_INSTALL_MANDIR}/man7)
install(FILES ctl/goallocctl.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ctl/alerts.yml DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ctl/completion/goallocctl.bash RENAME goallocctl
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ctl/completion/_goallocctl DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES examples/README.md examples/word_index.c examples/robust_lock.c examples/phone_book.cc
              examples/scores.cc
        DESTINATION ${CMAKE_INSTALL_DOCDIR}/client/examples COMPONENT development)

install(EXPORT goalloc NAMESPACE goalloc:: FILE goalloc-targets.cmake DESTINATION ${package_dir}
        COMPONENT development)
configure_package_config_file(goalloc-config.cmake.in goalloc-config.cmake
  INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
# Before 1.0 every minor version may break programs.
write_basic_package_version_file(goalloc-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/goalloc-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/goalloc-config-version.cmake
        DESTINATION ${package_dir} COMPONENT development)

file(RELATIVE_PATH pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" pc_to_prefix "${pc_to_prefix}")
list(JOIN UV_STATIC_LDFLAGS " " uv)
list(JOIN PROTOBUF_C_STATIC_LDFLAGS " " protobuf_c)
set(pc_private "${uv} ${protobuf_c}")
configure_file(goalloc-client.pc.in goalloc-client.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/goalloc-client.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
