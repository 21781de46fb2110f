# Parts of the engine, each by itself.
foreach(part config window notify ids idmap logs server step)
    asup_test(engine_${part} SOURCES engine_${part}.c $<TARGET_OBJECTS:daemon_shared>
              LIBS engine_core)
endforeach()
# Its peers are nng's own sockets: the other end may be any of them.
target_link_libraries(test_daemon_engine_server PRIVATE nng::nng)
# No memory for what the engine's own objects ask for.
target_link_options(test_daemon_engine_step PRIVATE -Wl,--wrap=malloc)

# What several threads share.
foreach(part ids logs)
    set_property(TEST daemon.engine_${part} APPEND PROPERTY LABELS tsan)
endforeach()
