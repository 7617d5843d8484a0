# Run by CPack when the files of all components are staged and nothing is packed: makes of each tree
# what Debian's policy asks for and an installation by hand does not need.
file(REAL_PATH ${CPACK_TEMPORARY_INSTALL_DIRECTORY} top)

function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

function(compress)
  if(ARGN)
    run(gzip -9n ${ARGN})
  endif()
endfunction()

function(stage component package)
  set(tree ${top}/${component})
  set(doc ${tree}/usr/share/doc)

  # The licence is in the copyright, and the list of changes has a fixed name.
  file(REMOVE ${doc}/goalloc/LICENSE)
  if(EXISTS ${doc}/goalloc/CHANGELOG.md)
    file(RENAME ${doc}/goalloc/CHANGELOG.md ${doc}/goalloc/changelog)
    compress(${doc}/goalloc/changelog)
    file(COPY_FILE ${CPACK_GOALLOC_DEBIAN}/README.Debian ${doc}/goalloc/README.Debian)
  endif()
  file(MAKE_DIRECTORY ${doc}/${package})
  file(COPY_FILE ${CPACK_GOALLOC_DEBIAN}/copyright ${doc}/${package}/copyright)
  file(COPY_FILE ${CPACK_GOALLOC_MADE}/changelog ${doc}/${package}/changelog.Debian)
  compress(${doc}/${package}/changelog.Debian)

  file(GLOB_RECURSE pages ${tree}/usr/share/man/*)
  compress(${pages})
  file(GLOB_RECURSE archives ${tree}/*.a)
  foreach(archive ${archives})
    run(strip --strip-debug --remove-section=.comment --enable-deterministic-archives ${archive})
  endforeach()

  # The same sources give the same bytes.
  if(DEFINED ENV{SOURCE_DATE_EPOCH})
    run(find ${tree} -newermt @$ENV{SOURCE_DATE_EPOCH}
        -exec touch --no-dereference --date=@$ENV{SOURCE_DATE_EPOCH} {} +)
  endif()
endfunction()

set(pairs ${CPACK_GOALLOC_PACKAGES})
while(pairs)
  list(POP_FRONT pairs component package)
  stage(${component} ${package})
endwhile()
