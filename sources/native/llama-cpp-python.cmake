# Read by CMake right after the vendored llama.cpp's project() line (CMAKE_PROJECT_llama.cpp_INCLUDE).
# The wrapper's own CMakeLists forces the common library on; the appliance loads libllama and ggml only.
set(LLAMA_BUILD_COMMON OFF)

# One file per library: a wheel holds no symbolic links, so versioned names would be three copies of each.
set(CMAKE_PLATFORM_NO_VERSIONED_SONAME ON)

# Same bytes from any folder: __FILE__ and the like must not name the temporary source and build folders.
add_compile_options(
    "-ffile-prefix-map=${CMAKE_SOURCE_DIR}=."
    "-ffile-prefix-map=${CMAKE_BINARY_DIR}=build"
)
add_link_options("-static-libstdc++" "-static-libgcc")

# ggml's CPU code five times, one library for each level of x86-64; the engine loads the best one that a host can run.
# ggml would build fourteen. Its list is read right after its function for one variant is there (`if
# (GGML_CPU_ALL_VARIANTS)`), and that reading is where the function is told to make these five only. Each lies beside
# libggml in the wheel: the wrapper installs no library that is named for a variant.
set(SOVEREIGN_VARIANTS x64 sse42 haswell skylakex icelake)
function(sovereign_choose_variants)
    if(NOT COMMAND ggml_add_cpu_backend_variant_impl OR COMMAND sovereign_variants_chosen)
        return()
    endif()
    function(sovereign_variants_chosen)
    endfunction()
    function(ggml_add_cpu_backend_variant tag)
        if(NOT tag IN_LIST SOVEREIGN_VARIANTS)
            return()
        endif()
        _ggml_add_cpu_backend_variant(${tag} ${ARGN}) # CMake's name for the definition that this one replaces
        set_target_properties(ggml-cpu-${tag} PROPERTIES INSTALL_RPATH "$ORIGIN" BUILD_WITH_INSTALL_RPATH TRUE)
        if(SKBUILD_PLATLIB_DIR)
            install(TARGETS ggml-cpu-${tag} LIBRARY DESTINATION ${SKBUILD_PLATLIB_DIR}/llama_cpp/lib)
        endif()
    endfunction()
endfunction()
if(GGML_CPU_ALL_VARIANTS)
    variable_watch(GGML_CPU_ALL_VARIANTS sovereign_choose_variants)
endif()
