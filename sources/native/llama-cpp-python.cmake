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
