# DuckDB and Arrow from the folder that scripts/setup fills; the rest from Debian.
set(BALLISTA_DEPS ${CMAKE_SOURCE_DIR}/.deps CACHE PATH "Folder made by scripts/setup")
get_filename_component(deps ${BALLISTA_DEPS} REALPATH)
if(NOT EXISTS ${deps}/complete)
  message(FATAL_ERROR "The pinned dependencies are missing: run scripts/setup first.")
endif()

find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)
find_package(fmt REQUIRED)
find_package(OpenSSL REQUIRED)
find_library(CRYPT_LIBRARY crypt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(CURL REQUIRED)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)

add_library(duckdb SHARED IMPORTED)
set_target_properties(duckdb PROPERTIES
  IMPORTED_LOCATION ${deps}/duckdb/lib/libduckdb.so
  INTERFACE_INCLUDE_DIRECTORIES "${deps}/duckdb/src/include"
  INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${deps}/duckdb/src/include")

file(GLOB pyarrow ${deps}/venv/lib/python3*/site-packages/pyarrow)
foreach(name arrow arrow_flight parquet)
  add_library(${name} SHARED IMPORTED)
  set_target_properties(${name} PROPERTIES
    IMPORTED_LOCATION ${pyarrow}/lib${name}.so.2600
    INTERFACE_INCLUDE_DIRECTORIES "${pyarrow}/include"
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${pyarrow}/include")
endforeach()
target_link_libraries(arrow_flight INTERFACE arrow)
target_link_libraries(parquet INTERFACE arrow)
