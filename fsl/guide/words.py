"""Every sentence of the guide, in English and in Chinese, by one key; and what the shop's columns are called."""

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "welcome": "Welcome. I know {n} items of {name}{simulated} from the ratings of {people} people. "
        "At most {most} questions, each the one that helps my choice most; then three for you. "
        "Type help at any time.",
        "simulated": " (simulated)",
        "rate": "How many points would you give {item}{about}? From {low:g} to {high:g}, or skip.",
        "pair": "Which of these two would you rather have: 1. {first}{first_about}, or 2. {second}{second_about}? "
        "1, 2, or skip.",
        "wish": "Compared with other people, do you want less or more of this: {column}? "
        "1 less, 2 like most, 3 more, or skip.",
        "wish_value": "Compared with other people, how do you like this: {column} {value}? "
        "1 less, 2 like most, 3 more, or skip.",
        "worth": "  [worth {worth:.3f} points to my choice]",
        "why": "I ask because the answer is expected to make my first choice {worth:.3f} points better. "
        "Other kinds of question: {others}.",
        "no_other": "none",
        "why_none": "I am not asking anything now; the reasons stand beside each choice.",
        "kind_rate": "a rating {worth:.3f}",
        "kind_pair": "one of two {worth:.3f}",
        "kind_wish": "a wish {worth:.3f}",
        "choice": "My three for you, from {heard}:",
        "heard_0": "what others say",
        "heard_1": "1 answer",
        "heard": "{n} answers",
        "settled": "No further question is expected to help my choice; say more to be asked all the same.",
        "and": ", ",
        "choice_none": "You turned everything down; say back to take it back, or done.",
        "line": "  {place}. {item}: {expected:.2f} points expected = {reasons}",
        "start": "{value:.2f} to anyone",
        "because": "{why}: {value:+.2f}",
        "all_else": "all else: {value:+.2f}",
        "ends": "the scale ends there: {value:+.2f}",
        "said_rate": "you gave {item} {answer:g}",
        "said_pair": "you prefer {first} to {second}",
        "said_wish_0": "less {wish}",
        "said_wish_1": "{wish} as most",
        "said_wish_2": "more {wish}",
        "said_reaction_0": "you dislike {item}",
        "said_reaction_1": "{item} is so-so to you",
        "said_reaction_2": "you like {item}",
        "react": "What do you say to them? For instance: like 1, dislike 2, or 3 {high:g} for points; "
        "more for another question, done to end.",
        "empty": "That was an empty line; nothing has changed.",
        "long": "That line is {n} characters long; I read at most {most}. Please say it shorter.",
        "unclear": "I am afraid I did not understand {text}. Everything you told me is kept.",
        "unclear_rate": "Please give a number from {low:g} to {high:g}, or say skip.",
        "unclear_choice": "Please answer {answers}, or say skip.",
        "unclear_react": "Please say, for instance, like 1, dislike 2 or 3 {high:g}; or more, back, done.",
        "outside": "{value:g} is outside {low:g} to {high:g}.",
        "no_such": "There is no number {value:g} in the list.",
        "noted": "Thank you, noted.",
        "skipped": "Never mind, something else then.",
        "back": "Taken back.",
        "back_none": "There is nothing to take back yet.",
        "no_more": "There is no further question that I could ask.",
        "help": "Answer the question as it says. skip: you do not know; back: take the last answer back; why: what the "
        "question is worth; show: the three now; more: another question; done: end. Chinese works, too.",
        "bye": "Thank you for the visit. From {heard}, I would look at: {items}.",
        "over": "This visit is over.",
    },
    "zh": {
        "welcome": "欢迎光临。我从 {people} 位顾客的评分里认识了 {name}{simulated} 的 {n} 款商品。"
        "最多问 {most} 个问题，每次只问对选择最有帮助的那个，然后为您推荐三款。随时可以输入“帮助”。",
        "simulated": "（模拟数据）",
        "rate": "您给 {item}{about} 打几分？{low:g} 到 {high:g} 分，不清楚请说“跳过”。",
        "pair": "这两款您更想要哪一款：1. {first}{first_about}，还是 2. {second}{second_about}？"
        "请答 1 或 2，不清楚请说“跳过”。",
        "wish": "与别人相比，您希望“{column}”低一些还是高一些？1 低一些，2 和大家一样，3 高一些，不清楚请说“跳过”。",
        "wish_value": "与别人相比，您对“{column} {value}”的喜好如何？"
        "1 少一些，2 和大家一样，3 多一些，不清楚请说“跳过”。",
        "worth": "  [这个回答对选择的价值：{worth:.3f} 分]",
        "why": "因为您的回答预计能让首选好 {worth:.3f} 分。其他类型的问题：{others}。",
        "no_other": "没有",
        "why_none": "现在没有提问；每款推荐旁边都写着理由。",
        "kind_rate": "打分 {worth:.3f}",
        "kind_pair": "二选一 {worth:.3f}",
        "kind_wish": "愿望 {worth:.3f}",
        "choice": "根据{heard}，为您推荐三款：",
        "heard_0": "大家的评分",
        "heard_1": "您的 1 个回答",
        "heard": "您的 {n} 个回答",
        "settled": "再问什么，预计也不会让我的选择更好；如果还想回答，请说“更多”。",
        "and": "、",
        "choice_none": "所有商品都被您否定了；可以说“返回”撤销，或说“完成”。",
        "line": "  {place}. {item}：预计 {expected:.2f} 分 = {reasons}",
        "start": "大家 {value:.2f}",
        "because": "{why}：{value:+.2f}",
        "all_else": "其余：{value:+.2f}",
        "ends": "评分到此为止：{value:+.2f}",
        "said_rate": "您给 {item} 打了 {answer:g} 分",
        "said_pair": "比起 {second} 您更想要 {first}",
        "said_wish_0": "{wish} 低一些",
        "said_wish_1": "{wish} 和大家一样",
        "said_wish_2": "{wish} 高一些",
        "said_reaction_0": "您不喜欢 {item}",
        "said_reaction_1": "您觉得 {item} 一般",
        "said_reaction_2": "您喜欢 {item}",
        "react": "您觉得怎么样？例如：喜欢 1，不喜欢 2，或 3 {high:g} 表示给第 3 款打分；“更多”再问一个，“完成”结束。",
        "empty": "您输入了空行，什么都没有改变。",
        "long": "这一行有 {n} 个字符，我最多读 {most} 个，请说短一些。",
        "unclear": "抱歉，我没有听懂 {text}。您说过的我都记着。",
        "unclear_rate": "请给一个 {low:g} 到 {high:g} 的数，或说“跳过”。",
        "unclear_choice": "请回答 {answers}，或说“跳过”。",
        "unclear_react": "请说，例如：喜欢 1、不喜欢 2 或 3 {high:g}；也可以说“更多”“返回”“完成”。",
        "outside": "{value:g} 不在 {low:g} 到 {high:g} 之间。",
        "no_such": "列表里没有第 {value:g} 款。",
        "noted": "谢谢，记下了。",
        "skipped": "没关系，换一个问题。",
        "back": "已撤销。",
        "back_none": "还没有可以撤销的回答。",
        "no_more": "没有其他可以问的了。",
        "help": "请按提示回答。跳过：不清楚；返回：撤销上一个回答；为什么：这个问题值多少；推荐：马上看三款；"
        "更多：再问一个；完成：结束。也可以用英语。",
        "bye": "谢谢光临。根据{heard}，建议看看：{items}。",
        "over": "这次咨询已经结束。",
    },
}  # fmt: skip
LANGUAGES = tuple(WORDS)

COLUMNS: dict[str, dict[str, str]] = {
    "en": {},
    "zh": {
        "brand": "品牌", "price": "价格", "operating_system": "操作系统", "internal_memory": "存储空间", "ram": "内存",
        "performance": "性能", "main_camera": "主摄像素", "selfie_camera": "自拍像素", "battery_size": "电池容量",
        "screen_size": "屏幕尺寸", "weight": "重量", "camera": "相机", "battery": "电池", "screen": "屏幕",
        "storage": "存储空间", "genre": "类型", "year": "年份",
    },
}  # fmt: skip


def column_word(column: str, language: str) -> str:
    """What a column is called: by the table, else as it is, with blanks for underscores."""
    return COLUMNS[language].get(column.lower(), column.replace("_", " "))
