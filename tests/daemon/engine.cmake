# Parts of the engine, each by itself.
foreach(part config window notify ids idmap logs server)
    asup_test(engine_${part} SOURCES engine_${part}.c $<TARGET_OBJECTS:daemon_shared>
              LIBS engine_core)
endforeach()

# What several threads share.
foreach(part ids logs server)
    set_property(TEST daemon.engine_${part} APPEND PROPERTY LABELS tsan)
endforeach()
