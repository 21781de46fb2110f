# Debian packages: `cpack -G DEB` in a configured build directory makes three.
#
#   asupersyncd            the daemon, asupersyncctl, units, manual pages
#   libasupersync-client0  the client library
#   libasupersync-client-dev  headers, static library, pkg-config and CMake files
#
# Each install() names its component: daemon (the default), lib, or dev.

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME asupersync)
set(CPACK_PACKAGE_VENDOR "asupersyncd")
set(CPACK_PACKAGE_CONTACT "asupersyncd maintainers <asupersyncd@localhost>")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL daemon lib dev)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}/client)

set(CPACK_DEBIAN_DAEMON_PACKAGE_NAME asupersyncd)
set(CPACK_DEBIAN_DAEMON_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_DAEMON_DESCRIPTION "structured concurrency for processes
 Everything that runs is owned by a region of one tree. A region that is
 closed is quiescent: no process of it is left, however it forked, and its
 finalizers have run.
 .
 This package holds the daemon asupersyncd, the command asupersyncctl and the
 manual pages.")
set(CPACK_DEBIAN_DAEMON_PACKAGE_DEPENDS
    "libasupersync-client0 (= ${PROJECT_VERSION}-1), adduser")
set(CPACK_DEBIAN_DAEMON_PACKAGE_CONTROL_EXTRA
    ${PROJECT_SOURCE_DIR}/cmake/deb/conffiles
    ${PROJECT_SOURCE_DIR}/cmake/deb/postinst
    ${PROJECT_SOURCE_DIR}/cmake/deb/prerm
    ${PROJECT_SOURCE_DIR}/cmake/deb/postrm)

set(CPACK_DEBIAN_LIB_PACKAGE_NAME libasupersync-client0)
set(CPACK_DEBIAN_LIB_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIB_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_LIB_DESCRIPTION "structured concurrency for processes - client library
 Programs that open regions, submit processes into them and wait for their
 outcomes through asupersyncd link against this library.")

set(CPACK_DEBIAN_DEV_PACKAGE_NAME libasupersync-client-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "libasupersync-client0 (= ${PROJECT_VERSION}-1)")
set(CPACK_DEBIAN_DEV_DESCRIPTION "structured concurrency for processes - development files
 Headers, static library and build files for programs that use
 libasupersync-client.")

include(CPack)
