# DuckDB's, Arrow's, protobuf's, GoogleTest's and the library's headers precompiled by clang, for every file of the
# trees of the sanitizers: reading them is most of what compiling a file costs. The precompiled file lives beside the
# dependencies, named after what it is made of, and holds only headers from outside of the source tree, so that one
# file serves all checkouts and the compiler cache knows it in each. (CMake's own precompiled headers name the source
# tree's files in them, which clang checks: an object from the cache would not fit another checkout.)
set(header ${CMAKE_SOURCE_DIR}/cmake/sanitize_pch_internal.h)
# As clang is called for each file: -fPIC for programs too, since a precompiled header is for one of the two.
set(CMAKE_CXX_COMPILE_OPTIONS_PIE -fPIC)
separate_arguments(flags UNIX_COMMAND "${CMAKE_CXX_FLAGS_SANITIZE}")
get_directory_property(options COMPILE_OPTIONS)
get_target_property(arrow_include arrow INTERFACE_INCLUDE_DIRECTORIES)
get_target_property(duckdb_include duckdb INTERFACE_INCLUDE_DIRECTORIES)
set(command ${CMAKE_CXX_COMPILER} -std=c++20 -fPIC ${flags} ${options} -DFMT_SHARED -DGTEST_HAS_PTHREAD=1 -fpch-instantiate-templates
    -isystem ${arrow_include} -isystem ${duckdb_include})
file(SHA256 ${header} content)
string(SHA256 key "${command} ${CMAKE_CXX_COMPILER_VERSION} ${content}")
string(SUBSTRING ${key} 0 16 key)
get_filename_component(folder ${deps} DIRECTORY)
set(BALLISTA_SANITIZE_PCH ${folder}/pch-${key}/sanitize_pch_internal.h.pch)
if(NOT EXISTS ${BALLISTA_SANITIZE_PCH})
  message(STATUS "Precompiling headers")
  file(COPY ${header} DESTINATION ${folder}/pch-${key})
  string(RANDOM LENGTH 8 suffix)
  # Without times: the same is the same file.
  execute_process(
    COMMAND ${command} -Xclang -fno-pch-timestamp -x c++-header
            ${folder}/pch-${key}/sanitize_pch_internal.h -o ${BALLISTA_SANITIZE_PCH}.${suffix}
    COMMAND_ERROR_IS_FATAL ANY)
  # What the compiler cache takes for it (CCACHE_PCH_EXTSUM), so that it is known when it has been made again.
  file(WRITE ${BALLISTA_SANITIZE_PCH}.sum ${key})
  file(RENAME ${BALLISTA_SANITIZE_PCH}.${suffix} ${BALLISTA_SANITIZE_PCH})
endif()
# In all targets, with the macros of what it includes.
add_compile_options("SHELL:-include-pch ${BALLISTA_SANITIZE_PCH}")
add_compile_definitions(FMT_SHARED GTEST_HAS_PTHREAD=1)
# The compiler cache reads the header again by its text, in targets too that know nothing of DuckDB.
include_directories(SYSTEM ${arrow_include} ${duckdb_include})
