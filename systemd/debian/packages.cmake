# The Debian packages, one for each component of the installation. ./dev package makes them, with the
# preset package: prefix and flags are the distribution's there.
#
# CPack lists the files of each component (stage.cmake makes them what Debian wants), works out the
# dependencies by dpkg-shlibdeps, and packs. What it leaves to us is here.
set(debian ${CMAKE_CURRENT_LIST_DIR})
set(made ${CMAKE_BINARY_DIR}/debian)
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME goalloc)
set(CPACK_PACKAGE_VENDOR "The goalloc authors")
set(CPACK_STRIP_FILES ON)
# Units and configuration name the places where files are, not those where they are packed.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL server library development)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(version ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})

set(maintainer "The goalloc authors <authors@goalloc.example>")
if(DEFINED ENV{DEBEMAIL} AND DEFINED ENV{DEBFULLNAME})
  set(maintainer "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
endif()
set(CPACK_DEBIAN_PACKAGE_MAINTAINER ${maintainer})

# The first line is the synopsis; CPack indents the others.
set(about "goalloc is malloc for a family of processes: a server keeps one heap in POSIX
shared memory, and programs allocate, share and free objects in it with
ordinary pointers, which mean the same in every process. Whatever process is
killed, the heap stays whole.")

set(CPACK_DEBIAN_SERVER_PACKAGE_NAME goalloc)
set(CPACK_DEBIAN_SERVER_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_SERVER_DESCRIPTION "malloc for a family of processes - server and tools
${about}
.
This package has the server, goallocd, as a service, goallocctl, which looks
inside a heap, and libgoalloc-malloc.so, by which unchanged programs use one.")
# Who makes the service's user, and its folder in /run.
set(CPACK_DEBIAN_SERVER_PACKAGE_DEPENDS
    "systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles")
set(CPACK_DEBIAN_SERVER_PACKAGE_CONTROL_EXTRA
    ${debian}/postinst ${debian}/prerm ${debian}/postrm ${debian}/conffiles ${debian}/triggers)

set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libgoalloc-client0)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_DESCRIPTION "malloc for a family of processes - client library
${about}
.
This package has the library by which programs use a heap.")
# A program whose user has no server yet starts a private one.
set(CPACK_DEBIAN_LIBRARY_PACKAGE_RECOMMENDS "goalloc (= ${version})")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${debian}/symbols ${debian}/triggers)

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libgoalloc-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "malloc for a family of processes - development files
${about}
.
This package has what programs are built with: headers, the static library,
manual pages, and descriptions for pkg-config and CMake.")
# Who links the static library links its libraries too.
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
    "libgoalloc-client0 (= ${version}), libuv1-dev, libprotobuf-c-dev")

# Where python3-dev is.
set(python_package)
if(TARGET goalloc_python)
  list(APPEND CPACK_COMPONENTS_ALL python)
  set(python_package python python3-goalloc)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_NAME python3-goalloc)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_SECTION python)
  set(CPACK_DEBIAN_PYTHON_DESCRIPTION "malloc for a family of processes - Python package
${about}
.
This package has objects of a heap as buffers for Python, and arrays of numpy
in a heap.")
  # The library is not installed where the dependencies are worked out.
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_LIBRARY_OUTPUT_DIRECTORY})
  set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS "libgoalloc-client0 (= ${version}), python3 (>= 3.11)")
  set(CPACK_DEBIAN_PYTHON_PACKAGE_RECOMMENDS python3-numpy)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_CONTROL_EXTRA ${debian}/python/postinst ${debian}/python/prerm)
endif()

# For stage.cmake, which CPack tells no variables of ours but those of its own name.
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC) # of SOURCE_DATE_EPOCH, if that is set
configure_file(${debian}/changelog.in ${made}/changelog @ONLY)
set(CPACK_GOALLOC_DEBIAN ${debian})
set(CPACK_GOALLOC_MADE ${made})
set(CPACK_GOALLOC_PACKAGES server goalloc library libgoalloc-client0 development libgoalloc-dev
    ${python_package})
set(CPACK_PRE_BUILD_SCRIPTS ${debian}/stage.cmake)
include(CPack)
