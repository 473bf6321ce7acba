# What `make install` and the Debian package put where:
#
#   PREFIX/lib/ballista/bin/{scheduler,executor,ballista}   the programs
#   PREFIX/lib/ballista/*.so*                               DuckDB and Arrow, which no distribution has; found by $ORIGIN
#   PREFIX/bin/{ballista,ballista-scheduler,ballista-executor}   links: names that clash with nobody's
#   PREFIX/lib/systemd/system/ballista-*.service
#   PREFIX/share/doc/ballista/                              documentation, example configuration, licenses
#
# Both prefix and DESTDIR are read when it installs, not before. Nothing is written to /etc: the package does that.
set(private lib/ballista)
# The second is for what looks at a link and does not follow it, as ldd.
set_target_properties(scheduler executor ballista PROPERTIES
  INSTALL_RPATH "\$ORIGIN/..;\$ORIGIN/../lib/ballista")
install(TARGETS scheduler executor ballista RUNTIME DESTINATION ${private}/bin)
install(PROGRAMS deploy/docker/healthcheck DESTINATION ${private}/bin)

foreach(library duckdb arrow arrow_flight parquet)
  get_target_property(file ${library} IMPORTED_LOCATION)
  install(FILES ${file} DESTINATION ${private})
  get_filename_component(name ${file} NAME)
  # A fifth of these files is symbols that only a debugger wants.
  install(CODE "
    if(CMAKE_INSTALL_DO_STRIP)
      execute_process(COMMAND \"${CMAKE_STRIP}\" --strip-unneeded
        \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${private}/${name}\" COMMAND_ERROR_IS_FATAL ANY)
    endif()")
endforeach()

# A link's target does not depend on the prefix.
foreach(link ballista:ballista ballista-scheduler:scheduler ballista-executor:executor)
  string(REPLACE ":" ";" link ${link})
  list(GET link 0 name)
  list(GET link 1 program)
  install(CODE "
    file(MAKE_DIRECTORY \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/bin\")
    file(CREATE_LINK ../${private}/bin/${program}
      \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/bin/${name}\" SYMBOLIC)")
endforeach()

# Units name the programs by their whole path.
foreach(unit ballista-scheduler ballista-executor)
  install(CODE "
    set(bindir \"\${CMAKE_INSTALL_PREFIX}/bin\")
    configure_file(\"${CMAKE_SOURCE_DIR}/deploy/systemd/${unit}.service.in\"
      \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/systemd/system/${unit}.service\" @ONLY)")
endforeach()

set(documents share/doc/ballista)
install(FILES README.md LICENSE NOTICE DESTINATION ${documents})
install(DIRECTORY docs/ DESTINATION ${documents}/docs FILES_MATCHING PATTERN "*.md" PATTERN "*.toml")
install(FILES ${deps}/duckdb/lib/LICENSE DESTINATION ${documents}/licenses RENAME duckdb-LICENSE)
file(GLOB notices ${pyarrow}/../pyarrow-*.dist-info/licenses/*.txt)
foreach(notice ${notices})
  get_filename_component(name ${notice} NAME)
  install(FILES ${notice} DESTINATION ${documents}/licenses RENAME arrow-${name})
endforeach()

# Of the package alone (component `debian`; `cmake --install` in the Makefile leaves it out).
foreach(program scheduler executor)
  install(FILES docs/examples/${program}.toml DESTINATION /etc/ballista COMPONENT debian EXCLUDE_FROM_ALL)
endforeach()
install(FILES deploy/debian/copyright DESTINATION ${documents} COMPONENT debian EXCLUDE_FROM_ALL)
