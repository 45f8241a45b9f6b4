<?php

declare(strict_types=1);

namespace Tests\Support;

/** Which of a cluster's slots a key lies in, worked out here and not by what is tested. */
final class Slot
{
    public const COUNT = 16_384;

    public static function of(string $key): int
    {
        // Only what is between the first { and the next } counts, unless there is nothing between them.
        $open = strpos($key, '{');
        $close = $open === false ? false : strpos($key, '}', $open + 1);
        if ($open !== false && $close !== false && $close > $open + 1) {
            $key = substr($key, $open + 1, $close - $open - 1);
        }
        $crc = 0;
        for ($i = 0; $i < strlen($key); $i++) {
            $crc ^= ord($key[$i]) << 8;
            for ($bit = 0; $bit < 8; $bit++) {
                $crc = ($crc & 0x8000 ? $crc << 1 ^ 0x1021 : $crc << 1) & 0xFFFF;
            }
        }

        return $crc % self::COUNT;
    }

    /**
     * A word that lies in one of the slots; in braces it takes any key there.
     *
     * @param list<int> $slots
     */
    public static function tag(array $slots): string
    {
        $wanted = array_fill_keys($slots, true);
        for ($number = 0; ; $number++) {
            if (isset($wanted[self::of("t$number")])) {
                return "t$number";
            }
        }
    }
}
