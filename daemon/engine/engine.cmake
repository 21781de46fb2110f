# The engine: its parts as objects, so that tests can have them one by one, and
# the private module of asupersyncd that is made of all of them.
add_library(engine_core OBJECT ${ENGINE_SOURCES} config.c)
target_include_directories(engine_core PUBLIC ${CMAKE_SOURCE_DIR})

# nng is linked statically, so that two of its system calls can be put right
# for the engine alone (engine/nng_peers.c says why).
find_library(NNG_STATIC libnng.a REQUIRED)
add_library(nng_served INTERFACE)
target_include_directories(nng_served INTERFACE
    $<TARGET_PROPERTY:nng::nng,INTERFACE_INCLUDE_DIRECTORIES>)
target_link_libraries(nng_served INTERFACE ${NNG_STATIC} mbedtls mbedx509 mbedcrypto)
target_link_options(nng_served INTERFACE -Wl,--wrap=sendmsg -Wl,--wrap=readv)

target_link_libraries(engine_core PUBLIC
    asupersync_core asupersync_proto ${LIBEV} nng_served ${MSGPACKC} Threads::Threads
    PkgConfig::LIBSYSTEMD PkgConfig::FYAML PkgConfig::LIBMD)

add_library(asupersyncd_engine MODULE $<TARGET_OBJECTS:daemon_shared>)
set_target_properties(asupersyncd_engine PROPERTIES PREFIX "" OUTPUT_NAME asupersyncd-engine)
target_link_libraries(asupersyncd_engine PRIVATE engine_core)
install(TARGETS asupersyncd_engine LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/asupersync)
