# Everything comes from Debian 12 packages; `make deps` installs them (deps.txt is the list).
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(FUSE REQUIRED IMPORTED_TARGET fuse3)
<<<<<<< HEAD
pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis)
=======
pkg_check_modules(MONGOC REQUIRED IMPORTED_TARGET libmongoc-1.0)
>>>>>>> mongo
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-cpp)
find_package(PostgreSQL REQUIRED)
find_package(ZLIB REQUIRED)
find_package(CURL REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
if(HF_TESTS)
  find_package(GTest REQUIRED)
endif()

# Several SHA-256 side by side, for CPUs without SHA instructions; x86-64 only, elsewhere they run one after the other.
find_library(HF_IPSEC_MB_LIBRARY IPSec_MB)
if(HF_IPSEC_MB_LIBRARY)
  add_library(hf_ipsec_mb INTERFACE)
  target_link_libraries(hf_ipsec_mb INTERFACE ${HF_IPSEC_MB_LIBRARY})
  target_compile_definitions(hf_ipsec_mb INTERFACE HF_HAS_IPSEC_MB)
  set(HF_IPSEC_MB hf_ipsec_mb)
endif()
