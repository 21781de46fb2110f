# Parts of the engine, each by itself.
foreach(part config cx window notify ids idmap logs server step)
    asup_test(engine_${part} SOURCES engine_${part}.c $<TARGET_OBJECTS:daemon_shared>
              LIBS engine_core)
endforeach()
# Its peers are nng's own sockets: the other end may be any of them.
target_link_libraries(test_daemon_engine_server PRIVATE nng::nng)
# No memory for what the engine's own objects ask for.
target_link_options(test_daemon_engine_step PRIVATE -Wl,--wrap=malloc)

# The journal by itself, on a disk that fails as planned.
set(ENGINE_DIR ${PROJECT_SOURCE_DIR}/daemon/engine)
asup_test(engine_journal SOURCES engine_journal.c ${ENGINE_DIR}/journal.c
          ${ENGINE_DIR}/journal_batch.c ${ENGINE_DIR}/journal_db.c ${ENGINE_DIR}/journal_schema.c
          ${ENGINE_DIR}/crash.c ${ENGINE_DIR}/fault.c ${ENGINE_DIR}/report.c
          LIBS ${LIBEV} PkgConfig::SQLITE PkgConfig::LIBSYSTEMD Threads::Threads)
target_compile_definitions(test_daemon_engine_journal PRIVATE ASUP_CRASH_POINTS=1)

# What several threads share.
foreach(part ids logs journal)
    set_property(TEST daemon.engine_${part} APPEND PROPERTY LABELS tsan)
endforeach()
