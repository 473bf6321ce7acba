# Compiler launcher, linker, warnings and sanitizers.
find_program(CCACHE ccache)
if(CCACHE)
  # Precompiled headers need pch_defines and time_macros; base_dir lets checkouts in other folders share hits.
  if(BALLISTA_SANITIZE)
    set(extsum CCACHE_PCH_EXTSUM=1)  # for SanitizePch.cmake
  endif()
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${extsum} ${CCACHE})
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
if(BALLISTA_SANITIZE)
  # The build type Sanitize: compiled soon rather than run fast, with lines in stacks.
  set(CMAKE_CXX_FLAGS_SANITIZE "-O0 -gline-tables-only")
  add_compile_options(-fsanitize=${BALLISTA_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${BALLISTA_SANITIZE})
  if(BALLISTA_SANITIZE MATCHES undefined)
    # A quarter of the compile time: a null that is read or written ends the program anyway, sizes of objects are
    # AddressSanitizer's, and types across the borders of prebuilt libraries are not known.
    add_compile_options(-fno-sanitize=null,object-size,vptr)
  endif()
endif()
