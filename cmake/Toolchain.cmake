# Compiler launcher, linker, warnings and sanitizers.
find_program(CCACHE ccache)
if(CCACHE)
  # Precompiled headers need pch_defines and time_macros; base_dir lets checkouts in other folders share hits.
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()
add_compile_options(-Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers)
# g++ 12 warns of these in its own string header, where there is nothing wrong.
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  add_compile_options(-Wno-restrict -Wno-stringop-overflow)
endif()
if(BALLISTA_FUZZ)
  # Coverage that the fuzzer steers by.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(BALLISTA_SANITIZE)
  add_compile_options(-fsanitize=${BALLISTA_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${BALLISTA_SANITIZE})
endif()
