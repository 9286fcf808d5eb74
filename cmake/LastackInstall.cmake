# What `cmake --install` puts down: the library and its headers, the package files for find_package() and pkg-config,
# the program, and whatever there is of man pages, shell completions and JSON schemas.
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/lastack)

install(TARGETS lastack EXPORT lastackTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/lastack DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h")

# find_package(lastack), then lastack::lastack. Before 1.0 a new minor version may break its users.
install(EXPORT lastackTargets NAMESPACE lastack:: DESTINATION ${package_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/lastackConfig.cmake.in
  ${PROJECT_BINARY_DIR}/lastackConfig.cmake
  INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/lastackConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/lastackConfig.cmake ${PROJECT_BINARY_DIR}/lastackConfigVersion.cmake
  DESTINATION ${package_dir})

# pkg-config lastack (with --static where the library is an archive). The prefix is found from where the file lies, so
# that an installed tree may be moved.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(pc_prefix ${CMAKE_INSTALL_PREFIX})
  set(pc_libdir ${CMAKE_INSTALL_FULL_LIBDIR})
  set(pc_includedir ${CMAKE_INSTALL_FULL_INCLUDEDIR})
else()
  file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  string(REGEX REPLACE "/$" "" up "${up}")
  set(pc_prefix "\${pcfiledir}/${up}")
  set(pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
  set(pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/lastack.pc.in ${PROJECT_BINARY_DIR}/lastack.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/lastack.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(TARGET lastack_program)
  install(TARGETS lastack_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  if(BUILD_SHARED_LIBS)
    file(RELATIVE_PATH lib_from_bin ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
    set_target_properties(lastack_program PROPERTIES INSTALL_RPATH "\$ORIGIN/${lib_from_bin}")
  endif()
endif()

file(GLOB man_pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/man/*.[1-8])
foreach(page IN LISTS man_pages)
  string(REGEX MATCH "[1-8]$" section ${page})
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()

# Each shell looks for a name of its own in a folder of its own.
function(install_completion file folder name)
  if(EXISTS ${PROJECT_SOURCE_DIR}/completions/${file})
    install(FILES ${PROJECT_SOURCE_DIR}/completions/${file}
      DESTINATION ${CMAKE_INSTALL_DATADIR}/${folder} RENAME ${name})
  endif()
endfunction()
file(GLOB completions CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/completions/*)  # configures again when one appears
install_completion(lastack.bash bash-completion/completions lastack)
install_completion(_lastack zsh/site-functions _lastack)
install_completion(lastack.fish fish/vendor_completions.d lastack.fish)

file(GLOB schemas CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/schema/*.json)
if(schemas)
  install(FILES ${schemas} DESTINATION ${CMAKE_INSTALL_DATADIR}/lastack/schema)
endif()

# For people who write programs with it.
install(FILES ${PROJECT_SOURCE_DIR}/docs/library.md ${PROJECT_SOURCE_DIR}/docs/errors.md
  DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
