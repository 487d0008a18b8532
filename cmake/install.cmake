# What `make install PREFIX=…` puts where: the program, and its man page and completions, which it makes itself.
include(GNUInstallDirs)

# The version that the program prints is the project's; its tests find the sources by the second one.
target_compile_definitions(hf_app PUBLIC HF_VERSION="${PROJECT_VERSION}")
target_compile_definitions(hf_testing PRIVATE HF_SOURCE_FOLDER="${PROJECT_SOURCE_DIR}")
if(TARGET app_test)
  target_compile_definitions(app_test PRIVATE HF_SOURCE_FOLDER="${PROJECT_SOURCE_DIR}")
else()
  set_target_properties(hf_testing PROPERTIES EXCLUDE_FROM_ALL ON)
endif()

set(pages ${PROJECT_BINARY_DIR}/pages)
file(MAKE_DIRECTORY ${pages})
add_custom_command(
  OUTPUT ${pages}/holdfast.1 ${pages}/holdfast.bash ${pages}/_holdfast ${pages}/holdfast.fish
  COMMAND holdfast man > ${pages}/holdfast.1
  COMMAND holdfast completion bash > ${pages}/holdfast.bash
  COMMAND holdfast completion zsh > ${pages}/_holdfast
  COMMAND holdfast completion fish > ${pages}/holdfast.fish
  DEPENDS holdfast
  VERBATIM)
add_custom_target(pages ALL DEPENDS ${pages}/holdfast.1)

install(TARGETS holdfast RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${pages}/holdfast.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${pages}/holdfast.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME holdfast)
install(FILES ${pages}/_holdfast DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${pages}/holdfast.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
