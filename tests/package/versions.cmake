# Servers and libraries of another version: the shipped sources, but that one header says another
# number. What reads the number is compiled anew; all else is the shipped objects, of which the linker
# takes from an archive only those whose names it misses.

# other_version(NAME HEADER NUMBERS...): NUMBERS are pairs of a regular expression and what to put in
# its place, in HEADER. Makes NAME_server, NAME_ctl and NAME_library, in bin/NAME.
function(other_version name header)
  set(window ${CMAKE_CURRENT_BINARY_DIR}/${name})
  file(READ ${CMAKE_SOURCE_DIR}/${header} text)
  set(numbers ${ARGN})
  set(words "")
  while(numbers)
    list(POP_FRONT numbers word number)
    if(NOT text MATCHES "#define ${word} [0-9]+u")
      message(FATAL_ERROR "${header} does not define ${word}")
    endif()
    string(REGEX REPLACE "(#define ${word}) [0-9]+u" "\\1 ${number}u" text "${text}")
    list(APPEND words ${word})
  endwhile()
  file(CONFIGURE OUTPUT ${window}/${header} CONTENT "${text}" @ONLY)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${header})

  # Who reads the number, room by room.
  foreach(room shm server server/shell client client/ctl)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${room}/*.c)
    string(REPLACE / _ var ${room})
    set(${var} "")
    foreach(source ${sources})
      list(JOIN words "|" any)
      file(STRINGS ${source} found REGEX "${any}")
      if(found)
        list(APPEND ${var} ${source})
      endif()
    endforeach()
  endforeach()

  add_executable(${name}_server ${CMAKE_SOURCE_DIR}/server/shell/main.c ${shm} ${server} ${server_shell})
  target_link_libraries(${name}_server PRIVATE ga_server_shell)
  add_executable(${name}_ctl ${CMAKE_SOURCE_DIR}/client/ctl/main.c ${shm} ${client} ${client_ctl})
  target_link_libraries(${name}_ctl PRIVATE goallocctl_commands)
  set(same $<TARGET_OBJECTS:goalloc_client_objects>)
  foreach(source ${client})
    get_filename_component(file ${source} NAME)
    set(same $<FILTER:${same},EXCLUDE,/${file}.o$>)
  endforeach()
  add_library(${name}_library SHARED ${shm} ${client} ${same})
  target_link_libraries(${name}_library PRIVATE ga_shm ga_proto PkgConfig::UV Threads::Threads)
  target_include_directories(${name}_library PRIVATE ${CMAKE_BINARY_DIR}/rooms/client
                             ${CMAKE_SOURCE_DIR}/client/include)
  target_link_options(${name}_library PRIVATE -Wl,--exclude-libs,ALL
    -Wl,--version-script=${CMAKE_SOURCE_DIR}/client/goalloc.map)
  set_target_properties(${name}_library PROPERTIES OUTPUT_NAME goalloc-client SOVERSION 0)

  set(bin ${CMAKE_BINARY_DIR}/bin/${name})
  foreach(kind server ctl library)
    target_include_directories(${name}_${kind} BEFORE PRIVATE ${window})
    target_compile_options(${name}_${kind} PRIVATE -fvisibility=hidden)
    set_target_properties(${name}_${kind} PROPERTIES
      RUNTIME_OUTPUT_DIRECTORY ${bin} LIBRARY_OUTPUT_DIRECTORY ${bin})
  endforeach()
  set_target_properties(${name}_server PROPERTIES OUTPUT_NAME goallocd)
  set_target_properties(${name}_ctl PROPERTIES OUTPUT_NAME goallocctl)
endfunction()

other_version(other_protocol proto/version.h GA_PROTOCOL_VERSION_MIN 7 GA_PROTOCOL_VERSION_MAX 8)
other_version(other_layout shm/layout.h GA_LAYOUT_VERSION 77)
