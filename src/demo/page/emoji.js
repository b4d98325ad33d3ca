// Short names of emoji that bots and people on call use.

const SIGNS = {
  rotating_light: '🚨', warning: '⚠️', fire: '🔥', boom: '💥', x: '❌', heavy_check_mark: '✔️',
  white_check_mark: '✅', no_entry: '⛔', no_entry_sign: '🚫', octagonal_sign: '🛑', red_circle: '🔴',
  large_orange_circle: '🟠', orange_circle: '🟠', large_yellow_circle: '🟡', yellow_circle: '🟡',
  large_green_circle: '🟢', green_circle: '🟢', large_blue_circle: '🔵', white_circle: '⚪', black_circle: '⚫',
  large_green_square: '🟩', large_red_square: '🟥', large_orange_square: '🟧', large_blue_square: '🟦',
  eyes: '👀', mag: '🔍', mag_right: '🔎', bar_chart: '📊', chart_with_upwards_trend: '📈',
  chart_with_downwards_trend: '📉', rewind: '⏪', fast_forward: '⏩', leftwards_arrow_with_hook: '↩️',
  arrow_right: '➡️', arrow_left: '⬅️', arrow_up: '⬆️', arrow_down: '⬇️', arrows_counterclockwise: '🔄',
  hourglass: '⌛', hourglass_flowing_sand: '⏳', stopwatch: '⏱️', timer_clock: '⏲️', clock1: '🕐', alarm_clock: '⏰',
  calendar: '📅', date: '📅', bell: '🔔', no_bell: '🔕', mute: '🔇', loudspeaker: '📢', mega: '📣', siren: '🚨',
  package: '📦', rocket: '🚀', gear: '⚙️', wrench: '🔧', hammer_and_wrench: '🛠️', hammer: '🔨', lock: '🔒',
  unlock: '🔓', key: '🔑', shield: '🛡️', link: '🔗', paperclip: '📎', memo: '📝', clipboard: '📋', page_facing_up: '📄',
  scroll: '📜', books: '📚', file_folder: '📁', card_index_dividers: '🗂️', pushpin: '📌', round_pushpin: '📍',
  thumbsup: '👍', '+1': '👍', thumbsdown: '👎', '-1': '👎', ok_hand: '👌', raised_hand: '✋', wave: '👋', pray: '🙏',
  clap: '👏', muscle: '💪', point_right: '👉', speech_balloon: '💬', thought_balloon: '💭', bust_in_silhouette: '👤',
  busts_in_silhouette: '👥', robot_face: '🤖', ghost: '👻', skull: '💀', bulb: '💡', question: '❓', grey_question: '❔',
  exclamation: '❗', heavy_exclamation_mark: '❗', information_source: 'ℹ️', tada: '🎉', sparkles: '✨', star: '⭐',
  zap: '⚡', cloud: '☁️', sunny: '☀️', snowflake: '❄️', ocean: '🌊', dart: '🎯', trophy: '🏆', medal: '🏅',
  microscope: '🔬', satellite: '🛰️', computer: '💻', desktop_computer: '🖥️', floppy_disk: '💾', battery: '🔋',
  electric_plug: '🔌', telephone: '☎️', email: '📧', envelope: '✉️', inbox_tray: '📥', outbox_tray: '📤',
  moneybag: '💰', scales: '⚖️', bug: '🐛', construction: '🚧', vertical_traffic_light: '🚦', checkered_flag: '🏁',
  triangular_flag_on_post: '🚩', new: '🆕', ok: '🆗', sos: '🆘', smile: '😄', slightly_smiling_face: '🙂', thinking_face: '🤔',
  grimacing: '😬', sweat_smile: '😅', cry: '😢', face_with_monocle: '🧐', broken_heart: '💔', heart: '❤️',
  bangbang: '‼️', repeat: '🔁', heavy_minus_sign: '➖', heavy_plus_sign: '➕', black_small_square: '▪️', small_blue_diamond: '🔹',
  small_orange_diamond: '🔸', large_blue_diamond: '🔷', large_orange_diamond: '🔶', dizzy: '💫', raising_hand: '🙋',
};

export function emoji(name) {
  return Object.hasOwn(SIGNS, name) ? SIGNS[name] : undefined;
}
