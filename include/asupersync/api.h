/* SPDX-License-Identifier: MIT */
/**
 * @file api.h
 * How public functions are declared, for C and for C++.
 */
#ifndef ASUPERSYNC_API_H
#define ASUPERSYNC_API_H

/** Marks what the shared library exports. */
#if defined(__GNUC__)
#define ASUP_API __attribute__((visibility("default")))
#else
#define ASUP_API
#endif

#ifdef __cplusplus
#define ASUP_DECLS_BEGIN extern "C" {
#define ASUP_DECLS_END }
#else
#define ASUP_DECLS_BEGIN
#define ASUP_DECLS_END
#endif

#endif
