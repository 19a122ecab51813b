// Which era a server speaks, told from its first answer (basic/versioning, "Backward Compatibility").

import { HttpError } from "./wire.js";
import { LEGACY, MODERN, RpcError } from "./revisions.js";
import { Session } from "./session.js";
import { Stateless } from "./stateless.js";

const UNSUPPORTED = -32022;
const OF_MODERN = [-32020, -32021, UNSUPPORTED]; // errors that prove a server of today
const FALLS_BACK = [400, 404, 405]; // statuses with which older servers meet its requests

/** Open a conversation in the revision that is wanted, "auto" for the newest that both speak. */
export async function open(wire, settings, host) {
  const wanted = settings.revision;
  if (LEGACY.includes(wanted)) return shakeHands(wire, wanted, settings, host);
  const stateless = new Stateless(wire, MODERN.includes(wanted) ? wanted : MODERN[0], settings, host.notice);
  try {
    const found = await stateless.open();
    const known = Array.isArray(found.supportedVersions) ? MODERN.find((each) => found.supportedVersions.includes(each)) : undefined;
    if (known) {
      stateless.revision = known;
      return stateless;
    }
    if (wanted !== "auto") throw new Error(`The server does not speak ${wanted}.`);
  } catch (error) {
    const older = error instanceof RpcError ? !OF_MODERN.includes(error.code) || speaksOlder(error) : FALLS_BACK.includes(error.status);
    if (wanted !== "auto" || !older) throw error;
  }
  return shakeHands(wire, LEGACY[0], settings, host);
}

function speaksOlder(error) {
  const supported = error.code === UNSUPPORTED ? error.data?.supported : undefined;
  return Array.isArray(supported) && supported.some((each) => LEGACY.includes(each));
}

async function shakeHands(wire, revision, settings, host) {
  const session = new Session(wire, revision, settings, host);
  await session.open();
  if (LEGACY.includes(session.revision)) return session;
  await session.close();
  throw new HttpError(200, `the handshake was answered with revision ${session.revision}, which is not known here`);
}
