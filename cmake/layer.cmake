# The calls of hf_layer() in src/CMakeLists.txt, in their order, are the architecture.
#
# hf_layer(path SHOWS layer… HIDES layer… LIBS target… SHOWN_LIBS target…)
#   SHOWS   layers that this layer's headers mention; whoever uses this layer sees them too
#   HIDES   layers that only its .cpp files mention; layers above cannot include them through it
#   LIBS    libraries of others, used by .cpp files only; SHOWN_LIBS, mentioned by headers
#
# A layer's include root is a folder that holds one link, to the layer itself. What a layer does not name is
# therefore "No such file" to its compiler, and since only layers above in the list exist as targets, a cycle
# does not configure.
#
# Beside x.cpp: x_test.cpp goes into the test program <layer>_test, x_fuzz.cpp into the fuzz driver.
function(hf_layer path)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SHOWS;HIDES;LIBS;SHOWN_LIBS")
  string(REPLACE "/" "_" name ${path})
  file(GLOB code CONFIGURE_DEPENDS ${path}/*.cpp)
  list(FILTER code EXCLUDE REGEX "_(test|fuzz)\\.cpp$")
  list(FILTER code EXCLUDE REGEX "/main\\.cpp$")
  add_library(hf_${name} STATIC ${code})
  set_target_properties(hf_${name} PROPERTIES LINKER_LANGUAGE CXX)

  set(root ${PROJECT_BINARY_DIR}/layers/${name})
  cmake_path(GET path PARENT_PATH above)
  file(MAKE_DIRECTORY ${root}/${above})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR}/${path} ${root}/${path} SYMBOLIC)
  target_include_directories(hf_${name} PUBLIC ${root})

  foreach(layer IN LISTS arg_SHOWS arg_HIDES)
    string(REPLACE "/" "_" dep ${layer})
    if(NOT TARGET hf_${dep})
      message(FATAL_ERROR "${path} may not depend on ${layer}: it is not above it in src/CMakeLists.txt")
    endif()
    if(layer IN_LIST arg_HIDES)
      target_link_libraries(hf_${name} PRIVATE hf_${dep})
    else()
      target_link_libraries(hf_${name} PUBLIC hf_${dep})
    endif()
  endforeach()
  target_link_libraries(hf_${name} PRIVATE hf_warnings ${arg_LIBS} PUBLIC ${arg_SHOWN_LIBS})

  file(GLOB tests CONFIGURE_DEPENDS ${path}/*_test.cpp)
  if(HF_TESTS AND tests)
    hf_test(${name}_test ${tests} LINKS hf_${name} ${arg_LIBS})
    # Tests of what stands on a store may use the simulated world and the local store, though both come later.
    if(NOT path MATCHES "^(base|crypto|codec|policy)$")
      target_link_libraries(${name}_test PRIVATE hf_testing hf_stores_local)
    endif()
    foreach(layer IN LISTS arg_HIDES)
      string(REPLACE "/" "_" dep ${layer})
      target_link_libraries(${name}_test PRIVATE hf_${dep})
    endforeach()
  endif()
  file(GLOB fuzzers CONFIGURE_DEPENDS ${path}/*_fuzz.cpp)
  foreach(fuzzer IN LISTS fuzzers)
    set_property(GLOBAL APPEND PROPERTY HF_FUZZERS ${fuzzer})
    set_property(GLOBAL APPEND PROPERTY HF_FUZZ_LAYERS hf_${name} ${arg_LIBS})
    foreach(layer IN LISTS arg_HIDES)
      string(REPLACE "/" "_" dep ${layer})
      set_property(GLOBAL APPEND PROPERTY HF_FUZZ_LAYERS hf_${dep})
    endforeach()
  endforeach()
endfunction()

# Tests of what has threads: they run under TSan, too.
set(HF_THREAD_TESTS base_test store_test stores_local_test repo_test engine_test conformance_store_test
    conformance_source_test sim_repository_sim_test sim_remote_test)

# hf_test(name file… LINKS target…): a GoogleTest program, registered as one ctest test.
function(hf_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LINKS")
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE hf_warnings ${arg_LINKS} GTest::gtest_main GTest::gmock)
  add_test(NAME ${name} COMMAND ${name} --gtest_brief=1 --gtest_output=xml:${PROJECT_BINARY_DIR}/results/${name}.xml)
  set_tests_properties(${name} PROPERTIES TIMEOUT 600)
  if(name IN_LIST HF_THREAD_TESTS)
    set_tests_properties(${name} PROPERTIES LABELS tsan)
    add_dependencies(hf_tsan_tests ${name})
  endif()
endfunction()
