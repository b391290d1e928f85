# How llama-cpp-python's CMake project is compiled here: only what mmcli loads, and the CPU variants it was told.
#
# CMake includes this file after each project() (CMAKE_PROJECT_INCLUDE), on Linux alone. variants.py names in
#   MMCLI_VARIANTS  ggml's CPU libraries to compile, such as "sse42,haswell,zen4"; empty for one library as before
#   MMCLI_COMPILER  the compiler they were chosen for, such as "GNU-12"
# What another llama.cpp names otherwise is compiled as it comes: this file leaves things out, and relies on nothing.

if(PROJECT_NAME STREQUAL "llama.cpp")
  # Of vendor/llama.cpp only what libmtmd needs is compiled, and nothing of it installs itself: llama-cpp-python does
  # that. Left out are `common` with its web server, headers, CMake files, and a second copy of each library.
  set_property(DIRECTORY PROPERTY EXCLUDE_FROM_ALL TRUE)
endif()

if(NOT PROJECT_NAME STREQUAL "llama_cpp")
  return()
endif()

string(REPLACE "," ";" MMCLI_WANTED "${MMCLI_VARIANTS}")
foreach(language C CXX)
  string(REGEX MATCH "^[0-9]+" MMCLI_MAJOR "${CMAKE_${language}_COMPILER_VERSION}")
  set(MMCLI_FOUND "${CMAKE_${language}_COMPILER_ID}-${MMCLI_MAJOR}")
  if(MMCLI_WANTED AND NOT MMCLI_FOUND STREQUAL "${MMCLI_COMPILER}")
    message(STATUS "mmcli: variants were chosen for ${MMCLI_COMPILER}, this is ${MMCLI_FOUND}: the safe build instead")
    set(MMCLI_WANTED "")
  endif()
endforeach()

# All of ggml's variants for x86. Those that are not wanted are neither compiled nor installed.
set(MMCLI_UNWANTED x64 sse42 sandybridge ivybridge piledriver haswell alderlake skylakex cannonlake cascadelake
                   icelake cooperlake zen4 sapphirerapids)
if(MMCLI_WANTED)
  list(REMOVE_ITEM MMCLI_UNWANTED ${MMCLI_WANTED})
  set(GGML_BACKEND_DL ON CACHE BOOL "" FORCE)
  set(GGML_CPU_ALL_VARIANTS ON CACHE BOOL "" FORCE)
endif()

# ggml makes each variant something that must be there before itself; this is the one place to take one out.
function(add_dependencies target)
  set(kept "")
  foreach(dependency IN LISTS ARGN)
    string(REGEX REPLACE "^ggml-cpu-" "" tag "${dependency}")
    if(target STREQUAL "ggml" AND tag IN_LIST MMCLI_UNWANTED)
      set_target_properties(${dependency} PROPERTIES EXCLUDE_FROM_ALL TRUE)
    else()
      list(APPEND kept ${dependency})
      if(target STREQUAL "ggml" AND dependency MATCHES "^ggml-")
        set_property(GLOBAL APPEND PROPERTY MMCLI_BACKENDS ${dependency})
      endif()
    endif()
  endforeach()
  if(kept)
    _add_dependencies(${target} ${kept})
  endif()
endfunction()

function(mmcli_finish)
  # libmtmd's folder is one of the top's own; like the rest, it is compiled for what needs it, and does not install itself.
  set_property(DIRECTORY vendor/llama.cpp/tools/mtmd PROPERTY EXCLUDE_FROM_ALL TRUE)
  add_custom_target(mmcli ALL)
  _add_dependencies(mmcli mtmd)
  get_property(backends GLOBAL PROPERTY MMCLI_BACKENDS)
  foreach(backend IN LISTS backends)
    set_target_properties(${backend} PROPERTIES INSTALL_RPATH "$ORIGIN" BUILD_WITH_INSTALL_RPATH TRUE)
    install(TARGETS ${backend} LIBRARY DESTINATION "${SKBUILD_PLATLIB_DIR}/llama_cpp/lib")
  endforeach()
  # A wheel cannot hold links: each further name of a library would be another copy.
  foreach(library llama mtmd ggml ggml-base ggml-cpu ggml-cuda ggml-hip ggml-vulkan ${backends})
    if(TARGET ${library})
      set_property(TARGET ${library} PROPERTY VERSION)
      set_property(TARGET ${library} PROPERTY SOVERSION)
    endif()
  endforeach()
  # GCC before 14 believes that configuring AMX's tiles reads 8 bytes of a block of 64, and drops the other stores.
  if(TARGET ggml-cpu-sapphirerapids AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND MMCLI_MAJOR LESS 14)
    target_compile_options(ggml-cpu-sapphirerapids PRIVATE -fno-dse)
  endif()
endfunction()
cmake_language(DEFER CALL mmcli_finish)
