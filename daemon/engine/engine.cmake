# The engine: its parts as objects, so that tests can have them one by one, and
# the private module of asupersyncd that is made of all of them.
add_library(engine_core OBJECT ${ENGINE_SOURCES} config.c)
target_include_directories(engine_core PUBLIC ${CMAKE_SOURCE_DIR})
target_link_libraries(engine_core PUBLIC
    asupersync_core asupersync_proto ${LIBEV} ${MSGPACKC} Threads::Threads
    PkgConfig::LIBSYSTEMD PkgConfig::FYAML PkgConfig::LIBMD PkgConfig::SQLITE)

add_library(asupersyncd_engine MODULE $<TARGET_OBJECTS:daemon_shared>)
set_target_properties(asupersyncd_engine PROPERTIES PREFIX "" OUTPUT_NAME asupersyncd-engine)
target_link_libraries(asupersyncd_engine PRIVATE engine_core)
install(TARGETS asupersyncd_engine LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/asupersync)
