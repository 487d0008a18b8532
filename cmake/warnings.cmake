# Compiler flags every layer gets, each with its reason.
add_library(hf_warnings INTERFACE)
target_compile_options(hf_warnings INTERFACE
  -Wall -Wextra -Wpedantic
  -Wshadow                # a shadowed name is read wrongly by people
  -Wconversion            # sizes and offsets must not lose bits in silence
  -Wsign-conversion
  -Wold-style-cast
  -Wnon-virtual-dtor
  -Woverloaded-virtual
  -Wduplicated-cond
  -Wlogical-op
  -Wno-restrict           # g++ 12 false positive on "x" + std::string (PR 105329)
  $<$<BOOL:${HF_WERROR}>:-Werror>)

if(HF_SANITIZE)
  add_compile_options(-fsanitize=${HF_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${HF_SANITIZE})
  if(HF_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_definitions(_FORTIFY_SOURCE=2)
  add_compile_options(-fstack-protector-strong)
  add_link_options(-Wl,-z,relro,-z,now)
endif()
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # Jumps that touch a 32-byte boundary are slow on many Intel CPUs (JCC erratum): the cut loop loses a third.
  add_compile_options(-Wa,-mbranches-within-32B-boundaries)
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
