/*
 * Whom a file belongs to that root makes in somebody else's folder.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_OWNER_H
#define FL_BASE_OWNER_H

/*
 * Root leaves a file that it has just made (O_EXCL: else somebody could have
 * put a link there) to the owner of the folder: what is done to a service's
 * state beside the service must not lock it out. Others change nothing.
 */
void fl_owner_follow(int file, const char *path);

#endif
