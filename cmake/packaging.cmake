# Debian packages: `cpack -G DEB` in a configured build directory makes five.
#
#   asupersyncd            the daemon, asupersyncctl, asupersync-lab, units, manual pages
#   libasupersync-client0  the client library
#   libasupersync-cx0      the in-process runtime
#   libasupersync-lab0     the runtime under virtual time, for tests
#   libasupersync-client-dev  headers, static library, pkg-config and CMake files of all three
#
# Each install() names its component: daemon (the default), lib, cx, lab, or dev.

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME asupersync)
set(CPACK_PACKAGE_VENDOR "asupersyncd")
set(CPACK_PACKAGE_CONTACT "asupersyncd maintainers <asupersyncd@localhost>")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
# /etc lies outside the prefix: everything is staged below DESTDIR.
set(CPACK_SET_DESTDIR ON)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each package brings its own
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL daemon lib cx lab dev)
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

This package holds the daemon asupersyncd, the commands asupersyncctl and
asupersync-lab, and the manual pages.")
set(CPACK_DEBIAN_DAEMON_PACKAGE_DEPENDS
    "libasupersync-client0 (= ${PROJECT_VERSION}-1), adduser")
set(CPACK_DEBIAN_DAEMON_PACKAGE_CONTROL_EXTRA
    ${PROJECT_SOURCE_DIR}/cmake/deb/conffiles
    ${PROJECT_SOURCE_DIR}/cmake/deb/postinst
    ${PROJECT_SOURCE_DIR}/cmake/deb/prerm
    ${PROJECT_SOURCE_DIR}/cmake/deb/postrm)

set(CPACK_DEBIAN_LIB_PACKAGE_NAME libasupersync-client0)
set(CPACK_DEBIAN_LIB_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIB_PACKAGE_CONTROL_EXTRA
    ${PROJECT_SOURCE_DIR}/cmake/deb/triggers
    ${PROJECT_SOURCE_DIR}/cmake/deb/shlibs)
set(CPACK_DEBIAN_LIB_DESCRIPTION "structured concurrency for processes - client library
Programs that open regions, submit processes into them and wait for their
outcomes through asupersyncd link against this library.")

set(CPACK_DEBIAN_CX_PACKAGE_NAME libasupersync-cx0)
set(CPACK_DEBIAN_CX_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_CX_PACKAGE_CONTROL_EXTRA
    ${PROJECT_SOURCE_DIR}/cmake/deb/triggers
    ${PROJECT_SOURCE_DIR}/cmake/deb/cx/shlibs)
set(CPACK_DEBIAN_CX_DESCRIPTION "structured concurrency for processes - in-process runtime
Programs whose own tasks are fibers in a tree of regions, cancelled, drained
and finalized as processes are by asupersyncd, link against this library. It
needs no daemon for what stays inside the program.")

set(CPACK_DEBIAN_LAB_PACKAGE_NAME libasupersync-lab0)
set(CPACK_DEBIAN_LAB_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LAB_PACKAGE_CONTROL_EXTRA
    ${PROJECT_SOURCE_DIR}/cmake/deb/triggers
    ${PROJECT_SOURCE_DIR}/cmake/deb/lab/shlibs)
set(CPACK_DEBIAN_LAB_DESCRIPTION "structured concurrency for processes - lab
Tests of programs whose tasks are fibers link against this library in the
place of libasupersync-cx: it runs them under virtual time, deterministically
by a seed, cancels them where it hurts, and judges what they did.")

set(CPACK_DEBIAN_DEV_PACKAGE_NAME libasupersync-client-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS
    "libasupersync-client0 (= ${PROJECT_VERSION}-1), libasupersync-cx0 (= ${PROJECT_VERSION}-1), libasupersync-lab0 (= ${PROJECT_VERSION}-1)")
set(CPACK_DEBIAN_DEV_DESCRIPTION "structured concurrency for processes - development files
Headers, static library and build files for programs that use
libasupersync-client, libasupersync-cx or libasupersync-lab.")

# What Debian wants to find in every package.
set(changelog ${PROJECT_BINARY_DIR}/changelog.Debian.gz)
add_custom_command(OUTPUT ${changelog}
    COMMAND gzip -9nc ${PROJECT_SOURCE_DIR}/cmake/deb/changelog > ${changelog}
    DEPENDS ${PROJECT_SOURCE_DIR}/cmake/deb/changelog VERBATIM)
add_custom_target(changelog ALL DEPENDS ${changelog})
foreach(component DAEMON LIB CX LAB DEV)
    string(TOLOWER ${component} name)
    set(docs ${CMAKE_INSTALL_DATAROOTDIR}/doc/${CPACK_DEBIAN_${component}_PACKAGE_NAME})
    install(FILES ${changelog} DESTINATION ${docs} COMPONENT ${name})
    install(FILES ${PROJECT_SOURCE_DIR}/cmake/deb/copyright DESTINATION ${docs} COMPONENT ${name})
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/NEWS.md
        DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/asupersyncd)

include(CPack)
