# libballista_client.so: the client for C++ programs, and what `make install` puts where for them:
#
#   PREFIX/include/ballista/client/*.h       its headers, which need Arrow's and no other
#   PREFIX/lib/libballista_client.so*
#   PREFIX/lib/cmake/Ballista/               find_package(Ballista): Ballista::client
#   PREFIX/lib/pkgconfig/ballista.pc
#
# Everything but Arrow is inside or a library of the system; only namespace ballista's own names are visible.
add_library(ballista_client_library SHARED $<TARGET_OBJECTS:ballista_client>)
target_link_libraries(ballista_client_library PRIVATE
  ballista_base ballista_proto ballista_plan ballista_flight ballista_security ballista_config)
set(exported ${CMAKE_SOURCE_DIR}/cmake/client_library.map)
set_target_properties(ballista_client_library PROPERTIES
  OUTPUT_NAME ballista_client
  VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib
  INSTALL_RPATH "\$ORIGIN/ballista;\$ORIGIN/../lib/ballista"
  LINK_DEPENDS ${exported})
target_link_options(ballista_client_library PRIVATE -Wl,--version-script=${exported} -Wl,--as-needed)

# Not in the Debian package, which is for those who run a cluster.
install(TARGETS ballista_client_library LIBRARY DESTINATION lib COMPONENT client NAMELINK_COMPONENT client)
foreach(header session data_frame expression)
  install(FILES src/ballista/client/${header}.h DESTINATION include/ballista/client COMPONENT client)
endforeach()
get_target_property(arrow_library arrow IMPORTED_LOCATION)
get_filename_component(arrow_library ${arrow_library} NAME)
string(REGEX REPLACE ".*\\.so\\.([0-9]+)00$" "\\1" arrow_version ${arrow_library})
foreach(file lib/cmake/Ballista/BallistaConfig.cmake lib/cmake/Ballista/BallistaConfigVersion.cmake
        lib/pkgconfig/ballista.pc)
  get_filename_component(name ${file} NAME)
  get_filename_component(folder ${file} DIRECTORY)
  configure_file(cmake/${name}.in ${CMAKE_BINARY_DIR}/client/${name} @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/client/${name} DESTINATION ${folder} COMPONENT client)
endforeach()
