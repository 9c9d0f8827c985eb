# Read by CMake right after the wrapper's project() line (CMAKE_PROJECT_llama_cpp_INCLUDE) of a release that a site may
# have served by llama-server: the wheel then holds the server as a library, linked with its own libllama and libggml.
# It is read a second time within llama.cpp, after that project's own file, since its targets are known only there.
if(PROJECT_NAME STREQUAL "llama_cpp")
    list(APPEND "CMAKE_PROJECT_llama.cpp_INCLUDE" "${CMAKE_CURRENT_LIST_FILE}")
    return()
endif()

set(LLAMA_BUILD_COMMON ON)
set(LLAMA_BUILD_MTMD ON) # images; the server does not link without
set(LLAMA_BUILD_UI OFF)
set(LLAMA_USE_PREBUILT_UI OFF) # it would be fetched while compiling
set(LLAMA_OPENSSL OFF)
set(LLAMA_SUBPROCESS OFF)

# llama.cpp searches the program's folder and the working directory for ggml's libraries whenever the server reads its
# arguments, and runs what it finds. The engine loads the one that it has verified; the search is not compiled in.
file(WRITE "${CMAKE_BINARY_DIR}/sovereign-no-search.c" "void sovereign_no_search(void) {}\n")

function(sovereign_finish_server)
    target_sources(llama-common PRIVATE "${CMAKE_BINARY_DIR}/sovereign-no-search.c")
    target_compile_definitions(llama-common PRIVATE ggml_backend_load_all=sovereign_no_search)
    set_target_properties(llama-common mtmd llama-server-impl PROPERTIES
        INSTALL_RPATH "$ORIGIN" BUILD_WITH_INSTALL_RPATH TRUE)
    install(TARGETS llama-common mtmd llama-server-impl LIBRARY DESTINATION ${SKBUILD_PLATLIB_DIR}/llama_cpp/lib)
endfunction()
add_subdirectory(tools/ui) # without the page: names of no files
add_subdirectory(tools/server)
cmake_language(DEFER CALL sovereign_finish_server)
