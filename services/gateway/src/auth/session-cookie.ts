/** The browser sends it back by itself; scripts cannot read it. */
export const SESSION_COOKIE = 'luthier_session';
