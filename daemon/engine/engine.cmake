# The engine: its parts as objects, so that tests can have them one by one, and
# the private module of asupersyncd that is made of all of them.
add_library(engine_core OBJECT ${ENGINE_SOURCES} config.c config_access.c policy.c)
target_include_directories(engine_core PUBLIC ${CMAKE_SOURCE_DIR})
target_compile_options(engine_core PRIVATE ${ASUP_WHOLE_COMPILE})
target_link_libraries(engine_core PUBLIC
    asupersync_core asupersync_proto ${LIBEV} ${MSGPACKC} Threads::Threads
    PkgConfig::LIBSYSTEMD PkgConfig::FYAML PkgConfig::LIBMD PkgConfig::SQLITE)

add_library(asupersyncd_engine MODULE $<TARGET_OBJECTS:daemon_shared>)
set_target_properties(asupersyncd_engine PROPERTIES PREFIX "" OUTPUT_NAME asupersyncd-engine
                      ASUP_WHOLE ON)
target_link_libraries(asupersyncd_engine PRIVATE engine_core)
install(TARGETS asupersyncd_engine LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/asupersync)

# The same engine for tests that let it die at named points and its disk fail
# (crash.h), in a folder of its own.
if(ASUP_TESTS)
    set(CRASHING crash fault journal journal_db op_channel op_owed output planted recover)
    list(TRANSFORM CRASHING PREPEND engine/)
    list(TRANSFORM CRASHING APPEND .c)
    add_library(asupersyncd_engine_crash MODULE EXCLUDE_FROM_ALL ${CRASHING}
        "$<FILTER:$<TARGET_OBJECTS:engine_core>,EXCLUDE,/(crash|fault|journal|journal_db|op_channel|op_owed|output|planted|recover)\\.c>"
        $<TARGET_OBJECTS:daemon_shared>)
    target_compile_definitions(asupersyncd_engine_crash PRIVATE ASUP_CRASH_POINTS=1)
    target_include_directories(asupersyncd_engine_crash PRIVATE ${CMAKE_SOURCE_DIR})
    get_target_property(ENGINE_LIBS engine_core LINK_LIBRARIES)
    target_link_libraries(asupersyncd_engine_crash PRIVATE ${ENGINE_LIBS})
    set_target_properties(asupersyncd_engine_crash PROPERTIES PREFIX ""
        OUTPUT_NAME asupersyncd-engine LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/crash)
    add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/crash/asupersyncd
                       COMMAND ${CMAKE_COMMAND} -E copy $<TARGET_FILE:asupersyncd>
                               ${CMAKE_BINARY_DIR}/crash
                       DEPENDS asupersyncd asupersyncd_engine_crash)
    add_custom_target(crash_daemon ALL DEPENDS ${CMAKE_BINARY_DIR}/crash/asupersyncd)
endif()
