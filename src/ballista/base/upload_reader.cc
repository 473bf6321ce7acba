#include "ballista/base/upload_reader.h"

#include "ballista/base/status.h"

namespace ballista {

arrow::Status UploadGone(const std::string& name) {
  return UserErrorStatus(
      UserError::RUNTIME,
      "the rows of an uploaded table are not there any more (" + name +
          "): it was dropped, or the scheduler that had them has ended; upload it again");
}

}  // namespace ballista
