# Read by CMake right after ggml's project() line (CMAKE_PROJECT_ggml_INCLUDE) of a release with code for NVIDIA GPUs.
# CUDA's runtime and cuBLAS are wheels of their own (nvidia-cuda-runtime, nvidia-cublas), unpacked beside this one.
add_link_options("SHELL:-Wl,-rpath,'$ORIGIN/../../nvidia/cu13/lib'")
