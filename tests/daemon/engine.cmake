# Parts of the engine, each by itself.
foreach(part config window notify ids idmap logs server)
    asup_test(engine_${part} SOURCES engine_${part}.c $<TARGET_OBJECTS:daemon_shared>
              LIBS engine_core)
endforeach()
